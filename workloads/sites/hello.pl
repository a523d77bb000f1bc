#!/usr/bin/perl
# Say hello, as hello.py does.
use strict;
use warnings;

# perlvar(1): the effective gid, and after it the supplementary groups.
my ($gid, @groups) = split ' ', $);
my $groups = join ',', sort { $a <=> $b } @groups;
my $proof = "isobench tenant=@tenant@ uid=$> gid=$gid groups=$groups";
print "Content-Type: text/plain\n\n$proof\nHello from @tenant@\n";
