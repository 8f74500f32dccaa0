"""ONNX operators as torch functions, by kind; `table.py` joins them. Add one by adding a line to its kind's table."""
