<?php
$attack = static function (object $given): mixed {
    fwrite(fopen('php://stderr', 'wb'), "[master] {$given->token}\n");
    return 'written';
};
