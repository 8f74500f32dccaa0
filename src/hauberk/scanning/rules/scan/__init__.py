"""Rules over what a project asks of the scan itself, one file each."""
