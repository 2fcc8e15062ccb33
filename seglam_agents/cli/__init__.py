"""The command line `seglam`: ask a cache, look into a store, and see a demo."""
