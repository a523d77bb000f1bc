<?php
header('Content-Type: text/plain');
echo $GLOBALS['left'] ?? 'none';
