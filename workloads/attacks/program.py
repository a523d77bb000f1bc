

# What follows is put behind each attack (see workloads.attacks): it calls `attack`, and tells how
# it went. In the way that all scripts do, so that every mode can run it.
def _answer() -> None:
    import json
    import os

    class NothingThere(Exception):
        pass

    class Given:
        def __init__(self, facts: dict[str, object]) -> None:
            self.__dict__.update(facts)

        def nothing(self, reason: str) -> Exception:
            return NothingThere(reason)

    result: object = ""
    try:
        given = Given(json.loads(bytes.fromhex(os.environ["QUERY_STRING"])))
        result = attack(given)  # type: ignore[name-defined]  # noqa: F821
        told = "done"
    except NothingThere as reason:
        told = f"nothing {reason}"
    except (OSError, MemoryError, RuntimeError, ValueError, ImportError) as error:
        told = f"refused {type(error).__name__}: {error}"
    except Exception as error:
        told = f"broke {type(error).__name__}: {error}"
    if isinstance(result, bytes):
        result = result.decode("latin-1")
    text = f"isobench-attack {told}\n{result}".encode("ascii", "backslashreplace").decode()
    print(f"Content-Type: text/plain\n\n{text}")


_answer()
