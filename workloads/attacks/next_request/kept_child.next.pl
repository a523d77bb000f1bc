use strict;
use warnings;

require POSIX;
my $found = waitpid -1, POSIX::WNOHANG();
print "Content-Type: text/plain\n\n", $found == 0 ? 'child (0, 0)' : 'none', "\n";
