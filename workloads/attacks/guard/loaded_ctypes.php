<?php
$attack = static function (object $given): mixed {
    $given->mustBeGuarded();
    $libc = FFI::cdef('int open(const char *, int); long read(int, void *, unsigned long);');
    $descriptor = $libc->open("{$given->neighbour}/config.secret", 0);
    if ($descriptor < 0) {
        throw new RuntimeException('the call was made, and refused by the kernel');
    }
    $buffer = $libc->new('char[4096]');
    return FFI::string($buffer, $libc->read($descriptor, FFI::addr($buffer), 4096));
};
