"""What the files of a recording are, read by FFmpeg in a process of its own.

Each module is a door of its own: the sandboxed process imports next to nothing.
"""
