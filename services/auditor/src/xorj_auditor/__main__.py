"""`python -m xorj_auditor`: runs the auditor until SIGTERM."""

import sys

from xorj_service.run import Context, run_service
from xorj_service.settings import load_settings

from xorj_auditor.service import NAME, audit
from xorj_auditor.settings import AuditorSettings


def main() -> int:
    """The process's exit code."""
    settings = load_settings(AuditorSettings)

    async def work(context: Context) -> None:
        await audit(context, settings)

    return run_service(NAME, settings, work)


if __name__ == "__main__":
    sys.exit(main())
