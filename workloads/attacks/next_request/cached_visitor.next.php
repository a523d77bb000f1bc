<?php
if (isset($_SERVER['HTTP_COOKIE'])) {
    $GLOBALS['session']['user'] = $_SERVER['HTTP_COOKIE'];
}
header('Content-Type: text/plain');
echo 'welcome ', $GLOBALS['session']['user'] ?? 'stranger';
