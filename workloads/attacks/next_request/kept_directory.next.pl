use strict;
use warnings;

require Cwd;
print "Content-Type: text/plain\n\n", Cwd::getcwd(), "\n";
