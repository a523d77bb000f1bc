use strict;
use warnings;

print "Content-Type: text/plain\n\n", eval { require settings_of_the_site } // 'none', "\n";
