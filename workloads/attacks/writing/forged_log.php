<?php
$attack = static function (object $given): mixed {
    file_put_contents('/dev/stderr', "[master] {$given->token}\n", FILE_APPEND);
    return 'written';
};
