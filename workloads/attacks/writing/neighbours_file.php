<?php
$attack = static function (object $given): mixed {
    file_put_contents("{$given->neighbour}/data/app.db", $given->token, FILE_APPEND);
    return 'written';
};
