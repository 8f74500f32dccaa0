"""A hand-made model server, as one finds it: see WEAKNESSES.md for what is wrong with it."""

from __future__ import annotations

import torch
from flask import Flask, jsonify, request
from model import build

app = Flask(__name__)
net = build()
net.load_state_dict(torch.load("checkpoint.pt", weights_only=False))
net.eval()


@app.post("/predict")
def predict():
    """Score posted digits."""
    x = torch.tensor(request.get_json()["inputs"]).reshape(-1, 1, 8, 8)
    with torch.no_grad():
        return jsonify(net(x).softmax(1).tolist())


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=8080, debug=True)
