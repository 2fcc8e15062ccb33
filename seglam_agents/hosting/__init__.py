"""One driver for every host: the turn of a request, the journal of writes, the learner, in plain values."""
