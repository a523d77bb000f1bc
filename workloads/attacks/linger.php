<?php
// The neighbour's script at work, in PHP: holds its secret in memory and its file open, until it is
// released.
$file = fopen('config.secret', 'rb');
$secret = fread($file, 4096);
$request = $_SERVER['HTTP_X_PLANTED'] ?? '';
$deadline = microtime(true) + 30;
while (!file_exists('data/go') && microtime(true) < $deadline) {
    usleep(10000);
    clearstatcache();
}
header('Content-Type: text/plain');
echo 'lingered ', strlen($secret) + strlen($request), "\n";
