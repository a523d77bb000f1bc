<?php
// The second half of each attack's script in PHP: calls $attack, and tells how it went, in the same
// words as program.py. No named function or class is declared: a server that runs one script after
// the other in one process would refuse the second declaration.
(static function (callable $attack): void {
    // What PHP reports as a warning, such as a file that may not be opened, is somebody's refusal.
    set_error_handler(static function (int $level, string $words): bool {
        throw new ErrorException($words, 0, $level);
    });
    $facts = json_decode(hex2bin($_SERVER['QUERY_STRING']), true);
    $given = new class ($facts) extends stdClass {
        public function __construct(array $facts)
        {
            foreach ($facts as $name => $value) {
                $this->$name = $value;
            }
        }

        public function begin(): void
        {
            touch("{$this->begun}-{$this->hand}");
        }

        public function nothing(string $reason): Exception
        {
            return new DomainException($reason);
        }

        // Functions of posix report a refusal by their value alone.
        public function must(mixed $done, string $what): void
        {
            if ($done === false || $done === -1) {
                throw new RuntimeException("$what: " . posix_strerror(posix_get_last_error()));
            }
        }

        public function mustBeGuarded(): void
        {
            if (ini_get('open_basedir') === '') {
                throw $this->nothing('no guard: PHP opens what the process may open');
            }
        }

        // What a pattern finds in a process's memory, by /proc/PID/mem.
        public function search(string $process, string $pattern): array
        {
            $found = [];
            $maps = file("/proc/$process/maps");
            $memory = fopen("/proc/$process/mem", 'rb');
            stream_set_read_buffer($memory, 0);
            foreach ($maps as $line) {
                [$ends, $permissions, , , $inode] = preg_split('/\s+/', $line);
                [$start, $end] = array_map('hexdec', explode('-', $ends));
                // Only what no file is behind.
                if ($permissions[0] !== 'r' || $inode !== '0' || $end - $start > 1 << 24) {
                    continue;
                }
                for ($place = $start; $place < $end; $place += 65536) {
                    try {
                        fseek($memory, (int) $place);
                        $bytes = (string) fread($memory, 65536);
                    } catch (ErrorException) {
                        break;
                    }
                    preg_match_all($pattern, $bytes, $matches);
                    $found += array_flip($matches[0]);
                }
            }
            return array_keys($found);
        }
    };
    $given->begin();
    $result = '';
    try {
        $result = $attack($given);
        $told = 'done';
    } catch (DomainException $reason) {
        $told = 'nothing ' . $reason->getMessage();
    } catch (Throwable $error) {
        // A mistake in the script is an Error, or a warning of what is undefined; FFI's refusals,
        // too, are Errors by class.
        $mistaken = $error instanceof Error && !$error instanceof FFI\Exception
            || str_starts_with($error->getMessage(), 'Undefined ');
        $words = strtr(substr($error->getMessage(), 0, 500), "\n", ' ');
        $told = ($mistaken ? 'broke ' : 'refused ') . get_class($error) . ": $words";
    }
    restore_error_handler();
    header('Content-Type: text/plain');
    echo "isobench-attack $told\n", is_string($result) ? $result : json_encode($result, JSON_UNESCAPED_SLASHES), "\n";
})($attack);
