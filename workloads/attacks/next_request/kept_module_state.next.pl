use strict;
use warnings;

require POSIX;
no warnings 'once';
print "Content-Type: text/plain\n\n", $POSIX::left // 'none', "\n";
