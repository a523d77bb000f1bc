"""What processes have used, as they tell."""

import resource

from servers.front.shared_memory.usage import Usage, own_usage, usage_of


def test_usage_adds_up() -> None:
    assert Usage(1, 2, 3, 4, 5).plus(Usage(1, 1, 1, 1, 1)) == Usage(2, 3, 4, 5, 6)
    before = usage_of(resource.getrusage(resource.RUSAGE_SELF))
    assert own_usage().cpu_ns >= before.cpu_ns > 0
