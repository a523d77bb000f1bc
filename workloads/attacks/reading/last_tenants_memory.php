<?php
$attack = static function (object $given): mixed {
    return $given->search('self', '/[0-9a-f]{24,32}/');
};
