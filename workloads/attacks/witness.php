<?php
// The neighbour's innocent script in PHP: does its work, and tells what it found around itself.
$word = '@source@';

$secret = file_get_contents('config.secret');
error_log('the secret begins with ' . substr(trim($secret), 0, 80));
$mask = umask(022);
umask($mask);
// Limits and processors are not PHP's to change.
$report = [
    'works' => strlen($secret),
    'planted' => getenv('PLANTED') ?: null,
    'umask' => $mask,
    'decimal' => localeconv()['decimal_point'],
    'nice' => (int) explode(' ', (string) file_get_contents('/proc/self/stat'))[18],
    'processors' => 0,
];
header('Content-Type: text/plain');
echo str_replace(['":', ',"'], ['": ', ', "'], (string) json_encode($report)), "\n";
