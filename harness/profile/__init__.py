"""Where the time of a request goes: phases, system calls, and what the kernel sees."""
