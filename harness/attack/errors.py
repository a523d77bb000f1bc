"""What ends one attack without a result of it."""


class NothingToAttack(Exception):
    """What an attack is about is not there, as seen from outside."""


class SceneFailed(Exception):
    """The scene is not as it has to be, so that an attack on it would show nothing."""


class TooLate(SceneFailed):
    """What would have shown how it went was over before it was looked at: the host is busy."""
