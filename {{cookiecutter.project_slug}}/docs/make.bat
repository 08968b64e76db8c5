@echo off
rem Sphinx's own targets, in an environment that has the group docs: make.bat html
if "%1" == "" (
    sphinx-build -M help "%~dp0." "%~dp0_build"
) else (
    sphinx-build -b %1 "%~dp0." "%~dp0_build\%1" -W --keep-going -n
)
