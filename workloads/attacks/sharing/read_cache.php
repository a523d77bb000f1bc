<?php
$attack = static function (object $given): mixed {
    // What is in the cache is not opened, nor is it asked who may.
    ob_start();
    try {
        include "{$given->neighbour}/witness.php";
    } finally {
        ob_end_clean();
    }
    return $word ?? 'nothing';
};
