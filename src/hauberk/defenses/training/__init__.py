"""Defenses that train the network anew, one file each: which inputs it sees and which loss it descends."""
