<?php
$attack = static function (object $given): mixed {
    if (!function_exists('pcntl_signal')) {
        throw $given->nothing('PHP has no functions for signals here');
    }
    $word = $given->token;
    pcntl_signal(SIGWINCH, static function () use ($word): void {
        echo $word;
    });
    return 'installed';
};
