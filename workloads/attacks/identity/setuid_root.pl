use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    ($<, $>) = (0, 0);
    die "setuid: $!\n" if $> != 0;
    open my $file, '>', "$given->{drop}/setuid_root" or die "open: $!\n";
    return $>;
};
