<?php
$attack = static function (object $given): mixed {
    return $given->search((string) $given->sibling, '/[0-9a-f]{24}/');
};
