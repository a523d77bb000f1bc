use strict;
use warnings;

my $site = __FILE__ =~ s{/[^/]+$}{}r;
local @INC = ("$site/data", @INC);
print "Content-Type: text/plain\n\n", eval { require settings_of_the_site } // 'none', "\n";
