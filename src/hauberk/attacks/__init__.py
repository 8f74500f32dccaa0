"""Attacks by family, one file each; engine.py examines what they return, driver.py runs the iterative ones."""
