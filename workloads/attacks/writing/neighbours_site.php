<?php
$attack = static function (object $given): mixed {
    file_put_contents("{$given->neighbour}/planted.php", $given->token);
    return 'written';
};
