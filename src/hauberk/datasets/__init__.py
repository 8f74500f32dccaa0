"""Ways to reach labelled data, one file each."""
