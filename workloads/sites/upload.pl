#!/usr/bin/perl
# Take an upload and answer its length and digest, as upload.py does.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);

read STDIN, my $data, $ENV{CONTENT_LENGTH};
my ($gid, @groups) = split ' ', $);
my $groups = join ',', sort { $a <=> $b } @groups;
my $proof = "isobench tenant=@tenant@ uid=$> gid=$gid groups=$groups";
print "Content-Type: text/plain\n\n$proof\n@tenant@ received ", length $data, " bytes\n";
print 'sha256 ', sha256_hex($data), "\n";
