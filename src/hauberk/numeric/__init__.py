"""Mathematics without opinion: balls, intervals, losses, curves."""
