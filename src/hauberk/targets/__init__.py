"""Ways to reach a model under test, one file each; frameworks live only here."""
