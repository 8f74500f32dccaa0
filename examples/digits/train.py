"""Train the digit classifier on the same rows that hauberk counts as its training data; writes model.safetensors."""

from __future__ import annotations

from pathlib import Path

import torch
from model import build
from safetensors.torch import save_file

from hauberk.core.project import read
from hauberk.datasets.opening import open_dataset

HERE = Path(__file__).resolve().parent
EPOCHS, BATCH = 30, 64


def main() -> None:
    """Train without any defense: the point of the example is what that leaves open."""
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
    net.eval()
    with torch.no_grad():
        right = (net(torch.from_numpy(data.test.x)).argmax(1) == torch.from_numpy(data.test.y)).float().mean()
    save_file(net.state_dict(), HERE / "model.safetensors")
    print(f"accuracy on {len(data.test.y)} unseen digits: {right:.1%}")


if __name__ == "__main__":
    main()
