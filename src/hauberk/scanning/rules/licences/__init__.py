"""Rules over the licences of all parts of a project, one file each."""
