use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    my $uid = $given->{neighbour_uid};
    $) = $( = $uid;
    ($<, $>) = ($uid, $uid);
    die "setuid: $!\n" if $> != $uid;
    open my $file, '>', "$given->{drop}/setuid_neighbour" or die "open: $!\n";
    return $>;
};
