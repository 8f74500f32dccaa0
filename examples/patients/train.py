"""Train the diagnosis model, overfitted as one finds it; or, with --private, with a bound on what it tells."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from model import build
from safetensors.torch import save_file

from hauberk.api.private_training import train as train_project
from hauberk.core.project import read
from hauberk.datasets.opening import open_dataset

HERE = Path(__file__).resolve().parent
EPOCHS, BATCH = 200, 32  # far past the epoch after which nothing is learned but the patients themselves


def overfitted() -> None:
    """Train without any defense on the rows that hauberk counts as training data; writes model.safetensors."""
    torch.manual_seed(0)
    section = read(HERE).data
    assert section is not None
    data = open_dataset(section, HERE)
    x, y = torch.from_numpy(data.train.x), torch.from_numpy(data.train.y)
    net = build()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        right = (net(torch.from_numpy(data.test.x)).argmax(1) == torch.from_numpy(data.test.y)).float().mean()
    save_file(net.state_dict(), HERE / "model.safetensors")
    print(f"accuracy on {len(data.test.y)} unseen patients: {right:.1%}")


def private(epsilon: float, canaries: int) -> None:
    """Train with DP-SGD, keep what it cost in the project's ledger, and say it; writes model_private.safetensors.

    canaries: of an audit of the same recipe; 0 for none.
    """
    made = train_project(
        HERE,
        defense="privacy.dp_sgd",
        settings={"epsilon": epsilon, "delta": 1e-3, "steps": 200, "batch": 64, "learning_rate": 0.5},
        weights=HERE / "model_private.safetensors",
        audit=canaries,
    )
    for row in made.report.measurements:
        print(f"{row.name}: {row.value:.3f} [{row.low:.3f}, {row.high:.3f}]")
    print(made.text)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--private", action="store_true", help="train with differential privacy")
    parser.add_argument("--epsilon", type=float, default=3.0, help="what the private run may cost")
    parser.add_argument("--audit", type=int, default=0, metavar="CANARIES", help="audit the private recipe")
    given = parser.parse_args()
    if given.private:
        private(given.epsilon, given.audit)
    else:
        overfitted()


if __name__ == "__main__":
    main()
