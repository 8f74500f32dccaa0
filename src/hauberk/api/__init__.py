"""The verbs: the only place where names become objects and siblings meet. One file a verb."""
