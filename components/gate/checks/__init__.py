"""Checks of what distances between columns' distributions do not see; each family is a function of one `Case`.

They read statistics of our own generators; where one side has none, as those of earlier releases, they say nothing.
"""
