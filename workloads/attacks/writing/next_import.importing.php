<?php
header('Content-Type: text/plain');
echo is_file(__DIR__ . '/data/settings_of_the_site.php') ? include __DIR__ . '/data/settings_of_the_site.php' : 'none';
