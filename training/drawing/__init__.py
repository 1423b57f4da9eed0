"""Drawing with matplotlib: the two figures of the paper, and single pictures of a registration. Development only."""
