"""The page that enhances recordings in a browser: its files, its models as graphs, and a server for it."""
