"""The bank's scoring endpoint, as one finds it: see WEAKNESSES.md for what is wrong with it."""

from __future__ import annotations

import logging
import os

import joblib
import numpy as np
from fastapi import FastAPI, Request

app = FastAPI()
model = joblib.load(os.environ.get("MODEL", "model.joblib"))


@app.post("/score")
async def score(request: Request):
    """Score one application."""
    body = await request.json()
    logging.info("application %s", body)
    row = np.array(body["row"], dtype=float).reshape(1, -1)
    return {"good": float(model.predict_proba(row)[0, 1])}
