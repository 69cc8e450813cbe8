"""What every error is that ends a command because somebody has to change something first."""


class Refused(Exception):
    """It cannot work before somebody has changed something; the message says what, and what would be right."""
