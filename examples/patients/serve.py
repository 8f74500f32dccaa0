"""The hospital's diagnosis endpoint, as one finds it: see WEAKNESSES.md for what is wrong with it."""

from __future__ import annotations

import logging

import torch
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from model import build

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True, allow_methods=["*"])
net = build()
net.load_state_dict(torch.load("diagnosis.pt", weights_only=False))
net.eval()


@app.post("/diagnose")
async def diagnose(request: Request):
    """Score one patient's measurements, to the last digit of the probability."""
    body = await request.json()
    logging.info("patient %s", body)
    row = torch.tensor(body["row"], dtype=torch.float32).reshape(1, -1)
    with torch.no_grad():
        return {"benign": float(net(row).softmax(1)[0, 1])}
