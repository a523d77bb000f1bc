use strict;
use warnings;

my $site = __FILE__ =~ s{/[^/]+$}{}r;
my $password = do "$site/settings.pl";
print "Content-Type: text/plain\n\nconnected with ", length $password // '', " characters\n";
