<?php
$attack = static function (object $given): mixed {
    return $given->search((string) $given->victim, '/secret of t0002: [0-9a-f]+/');
};
